"""`python -m geocobot` does what `geocobot` does."""

from geocobot.cli import main

if __name__ == "__main__":
    main()
