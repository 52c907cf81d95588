"""What is on disk: the data folder, a gateway's, the configuration, backups, and whether a database is ours."""
