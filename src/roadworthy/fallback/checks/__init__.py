"""The built-in checks of an answer's text: one kind a file, all of them pure and linear in the length of the text."""
