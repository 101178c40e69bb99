"""`python -m bellwire_client` is the command `bellwire`."""

import sys

from bellwire_client.command.line import main

sys.exit(main())
