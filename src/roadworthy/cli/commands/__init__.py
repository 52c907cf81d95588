"""The commands, one small module a topic.  Modules here import nothing heavy before a command runs."""
