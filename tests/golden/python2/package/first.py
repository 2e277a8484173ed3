import second
import inner.third
import inner.third as alias
from second import VALUE as value
import string, second as again
result = [second.VALUE, inner.third.VALUE, alias.VALUE, value, again.VALUE, string.lower("A")]
