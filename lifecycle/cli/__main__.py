"""`python -m lifecycle.cli`: the same as `lifecycle`."""

from . import main

if __name__ == "__main__":
    main()
