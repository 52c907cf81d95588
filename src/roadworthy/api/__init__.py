"""The admin API on control's Unix socket: thin handlers over services, every route with its permission."""
