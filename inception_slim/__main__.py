"""`python -m inception_slim` is `inception-slim`."""

import sys

from inception_slim.cli import main

sys.exit(main())
