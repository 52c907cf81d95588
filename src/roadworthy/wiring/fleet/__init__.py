"""Every gateway of the install: who there is, what they may spend, how they are reached."""
