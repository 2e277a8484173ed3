"""`tf.contrib.training.HParams`: hyperparameters with types, which a line of text can change."""

from __future__ import annotations

import json
import numbers
import re

_CLAUSE = re.compile(r'''
    (?P<name>[a-zA-Z][\w.]*)
    (?:\[\s*(?P<index>\d+)\s*\])?
    \s*=\s*
    (?:(?P<value>[^,\[]*)|\[(?P<values>[^\]]*)\])
    (?:$|,\s*)''', re.VERBOSE)


def parse_values(values: str, type_map: dict[str, type], ignore_unknown: bool = False) -> dict:
    """The values in a text such as 'learning_rate=0.1,layers=[3,4],layers[1]=5'.

    Args:
      values: clauses NAME=VALUE, NAME=[VALUE,…] or NAME[INDEX]=VALUE, with commas between.
      type_map: the type of each name, or of the elements where it is a list.
      ignore_unknown: leaves out a name that has no type, in the place of raising.

    Returns:
      By name a value, a list, or a dictionary of values by their index.

    Raises:
      ValueError: a clause cannot be read, or sets a name twice.
    """
    found: dict = {}
    position = 0
    while position < len(values):
        match = _CLAUSE.match(values, position)
        if not match:
            raise ValueError(f'Malformed hyperparameter value: {values[position:]}')
        position = match.end()
        name, index, text, several = match.group('name', 'index', 'value', 'values')
        if name not in type_map:
            if ignore_unknown:
                continue
            raise ValueError(f'Unknown hyperparameter type for {name}')
        if several is not None and index is not None:
            raise ValueError('Assignment of a list to a list index.')
        parts = re.split('[ ,]', several) if several is not None else [text]
        try:
            parsed = [_parsed(part, type_map[name]) for part in parts
                      if part or several is None]
        except ValueError:
            raise ValueError(f"Could not parse hparam '{name}' of type "
                             f"'{type_map[name].__name__}' with value '"
                             f"{text if several is None else several}' in {values}") from None
        slots = found if index is None else found.setdefault(name, {})
        key = name if index is None else int(index)
        if not isinstance(slots, dict) or key in slots:
            title = name if index is None or not isinstance(slots, dict) else f'{name}[{index}]'
            raise ValueError(f"Multiple assignments to variable '{title}' in {values}")
        slots[key] = parsed if several is not None else parsed[0]
    return found


def _parsed(text: str, kind: type):
    if kind is not bool:
        return kind(text)
    if text.lower() in ('true', 'false') and text in ('true', 'True', 'false', 'False'):
        return text.lower() == 'true'
    return bool(int(text))


def _cast(name: str, kind: type, value):
    """A value as the type of its hyperparameter; raises ValueError where that would lose some."""
    if type(value) is kind or kind is type(None):
        return value
    texts = (str, bytes)
    if (issubclass(kind, texts) and not isinstance(value, texts)
            or issubclass(kind, bool) != isinstance(value, bool)
            or issubclass(kind, numbers.Integral) and not isinstance(value, numbers.Integral)
            or issubclass(kind, numbers.Number) and not isinstance(value, numbers.Number)):
        raise ValueError(f"Could not cast hparam '{name}' of type '{kind}' from value {value!r}")
    return kind(value)


class HParams:
    """Hyperparameters as attributes; each keeps the type of its first value."""

    def __init__(self, hparam_def=None, model_structure=None, **values):
        if hparam_def is not None:
            raise ValueError('HParams are not read from a HParamDef any more; give the values by '
                             'name, or read them with parse_json.')
        self._hparam_types: dict[str, tuple[type, bool]] = {}
        self._model_structure = model_structure
        for name, value in values.items():
            self.add_hparam(name, value)

    def add_hparam(self, name: str, value) -> None:
        """A new hyperparameter; raises ValueError where the name is taken."""
        if getattr(self, name, None) is not None:
            raise ValueError(f'Hyperparameter name is reserved: {name}')
        several = isinstance(value, (list, tuple))
        if several and not value:
            raise ValueError(f'Multi-valued hyperparameters cannot be empty: {name}')
        self._hparam_types[name] = (type(value[0] if several else value), several)
        setattr(self, name, value)

    def set_hparam(self, name: str, value) -> None:
        """Another value for a hyperparameter; raises KeyError, or ValueError for another type."""
        kind, several = self._hparam_types[name]
        if isinstance(value, list) and not several:
            raise ValueError(f'Must not pass a list for single-valued parameter: {name}')
        if several and not isinstance(value, list):
            raise ValueError(f'Must pass a list for multi-valued parameter: {name}.')
        setattr(self, name, [_cast(name, kind, each) for each in value] if several
                else _cast(name, kind, value))

    def del_hparam(self, name: str) -> None:
        """Takes a hyperparameter away, if it is there."""
        if hasattr(self, name):
            delattr(self, name)
            del self._hparam_types[name]

    def parse(self, values: str) -> HParams:
        """Sets what a text says; see `parse_values`."""
        kinds = {name: kind for name, (kind, _) in self._hparam_types.items()}
        return self.override_from_dict(parse_values(values, kinds))

    def override_from_dict(self, values_dict: dict) -> HParams:
        """Sets each of the values; raises as `set_hparam` does."""
        for name, value in values_dict.items():
            self.set_hparam(name, value)
        return self

    set_from_map = override_from_dict

    def parse_json(self, values_json: str) -> HParams:
        """Sets what an object of JSON says."""
        return self.override_from_dict(json.loads(values_json))

    def to_json(self, indent=None, separators=None, sort_keys: bool = False) -> str:
        """The values as an object of JSON."""
        return json.dumps(self.values(), indent=indent, separators=separators,
                          sort_keys=sort_keys)

    def values(self) -> dict:
        """The values by name."""
        return {name: getattr(self, name) for name in self._hparam_types}

    def get(self, key: str, default=None):
        """A value, or the default; raises ValueError where that is of another type."""
        if key not in self._hparam_types:
            return default
        if default is not None:
            kind, several = self._hparam_types[key]
            title = f'list<{kind}>' if several else str(kind)
            says = f"Hparam '{key}' of type '{title}' is incompatible with default={default}"
            if several != isinstance(default, list):
                raise ValueError(says)
            try:
                for each in default if several else [default]:
                    _cast(key, kind, each)
            except ValueError as error:
                raise ValueError(f'{says}. {error}') from None
        return getattr(self, key)

    def set_model_structure(self, model_structure) -> None:
        """Keeps whatever it is given."""
        self._model_structure = model_structure

    def get_model_structure(self):
        """What `set_model_structure` was given."""
        return self._model_structure

    def __contains__(self, key: str) -> bool:
        return key in self._hparam_types

    def __str__(self) -> str:
        return ','.join(f'{name}={value}' for name, value in self.values().items())

    def __repr__(self) -> str:
        return f'{type(self).__name__}({sorted(self.values().items())})'
