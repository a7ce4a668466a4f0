"""`python -m avfd` is `avfd`."""

from avfd.cli import main

main()
