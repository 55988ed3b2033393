"""No test reads or writes the playbook of whoever runs it, in this process or in one it starts."""

import os

os.environ["ZEROIN_PLAYBOOK"] = "off"
