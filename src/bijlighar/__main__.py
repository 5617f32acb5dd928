"""Run the command line as `python -m bijlighar`."""

from bijlighar.cli.main import main

if __name__ == "__main__":
    main()
