# Follows `parses_as_python3.py`, so that Python 3 does not parse the whole.
for line in open(path):
    print line.strip(),
print
print ("%d" % 3), 4
