"""`python -m databackup` is the command `databackup`."""

import sys

from databackup.cli import main

if __name__ == "__main__":
    sys.exit(main())
