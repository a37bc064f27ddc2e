"""``python -m patchrun``."""

from patchrun.faces.cli import main

if __name__ == "__main__":
    main()
