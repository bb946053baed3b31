"""`python -m atomweave` is the command `atomweave`, for where nothing can be installed."""

from .cli.main import main

if __name__ == "__main__":
    main()
