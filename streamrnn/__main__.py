"""`python -m streamrnn` is `streamrnn`."""

import sys

from streamrnn.cli import main

if __name__ == "__main__":
    sys.exit(main())
