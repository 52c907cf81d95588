"""Who may sign in: accounts, invitations and what was granted, beside what ``people.yaml`` says."""
