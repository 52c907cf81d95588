"""``python -m roadworthy``: the ``roadworthy`` script where its folder is not on the path."""

from roadworthy.cli.main import main

if __name__ == "__main__":
    main()
