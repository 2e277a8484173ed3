"""`tf.contrib.training.HParams`: typed hyperparameters that a string can override."""

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
    """Parse a string such as 'learning_rate=0.1,layers=[3,4],layers[1]=5'.

    Args:
      values: comma-separated clauses NAME=VALUE, NAME=[VALUE,…] or NAME[INDEX]=VALUE.
      type_map: the type of each hyperparameter, or of its elements if it is a list.
      ignore_unknown: whether to skip names without a type instead of raising.

    Returns:
      For each name a value, a list, or a dictionary of values by index.

    Raises:
      ValueError: a clause is malformed, or a name is set twice.
    """
    result: dict = {}
    position = 0
    while position < len(values):
        match = _CLAUSE.match(values, position)
        if not match:
            raise ValueError(f'Malformed hyperparameter value: {values[position:]}')
        position = match.end()
        name, index, text, list_text = match.group('name', 'index', 'value', 'values')
        if name not in type_map:
            if ignore_unknown:
                continue
            raise ValueError(f'Unknown hyperparameter type for {name}')
        if list_text is not None and index is not None:
            raise ValueError('Assignment of a list to a list index.')
        parts = re.split('[ ,]', list_text) if list_text is not None else [text]
        try:
            parsed = [_parse_value(part, type_map[name]) for part in parts
                      if part or list_text is None]
        except ValueError:
            raise ValueError(f"Could not parse hparam '{name}' of type "
                             f"'{type_map[name].__name__}' with value '"
                             f"{text if list_text is None else list_text}' in {values}") from None
        slots = result if index is None else result.setdefault(name, {})
        key = name if index is None else int(index)
        if not isinstance(slots, dict) or key in slots:
            title = name if index is None or not isinstance(slots, dict) else f'{name}[{index}]'
            raise ValueError(f"Multiple assignments to variable '{title}' in {values}")
        slots[key] = parsed if list_text is not None else parsed[0]
    return result


def _parse_value(text: str, kind: type):
    if kind is not bool:
        return kind(text)
    if text.lower() in ('true', 'false') and text in ('true', 'True', 'false', 'False'):
        return text.lower() == 'true'
    return bool(int(text))


def _cast(name: str, kind: type, value):
    """Convert a value to the type of its hyperparameter; raise ValueError if that is lossy."""
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
    """Hyperparameters as attributes, each with the type of its first value."""

    def __init__(self, hparam_def=None, model_structure=None, **values):
        if hparam_def is not None:
            raise ValueError('hparam_def is not supported; pass the values as keyword arguments, '
                             'or read them with parse_json.')
        self._hparam_types: dict[str, tuple[type, bool]] = {}
        self._model_structure = model_structure
        for name, value in values.items():
            self.add_hparam(name, value)

    def add_hparam(self, name: str, value) -> None:
        """Add a hyperparameter; raise ValueError if the name is taken."""
        if getattr(self, name, None) is not None:
            raise ValueError(f'Hyperparameter name is reserved: {name}')
        is_list = isinstance(value, (list, tuple))
        if is_list and not value:
            raise ValueError(f'Multi-valued hyperparameters cannot be empty: {name}')
        self._hparam_types[name] = (type(value[0] if is_list else value), is_list)
        setattr(self, name, value)

    def set_hparam(self, name: str, value) -> None:
        """Set a hyperparameter; raise KeyError if it is unknown, ValueError if the type differs."""
        kind, is_list = self._hparam_types[name]
        if isinstance(value, list) and not is_list:
            raise ValueError(f'Must not pass a list for single-valued parameter: {name}')
        if is_list and not isinstance(value, list):
            raise ValueError(f'Must pass a list for multi-valued parameter: {name}.')
        setattr(self, name, [_cast(name, kind, item) for item in value] if is_list
                else _cast(name, kind, value))

    def del_hparam(self, name: str) -> None:
        """Remove a hyperparameter if it exists."""
        if hasattr(self, name):
            delattr(self, name)
            del self._hparam_types[name]

    def parse(self, values: str) -> HParams:
        """Set hyperparameters from a string; see `parse_values`."""
        kinds = {name: kind for name, (kind, _) in self._hparam_types.items()}
        return self.override_from_dict(parse_values(values, kinds))

    def override_from_dict(self, values_dict: dict) -> HParams:
        """Set several hyperparameters; raises what `set_hparam` raises."""
        for name, value in values_dict.items():
            self.set_hparam(name, value)
        return self

    set_from_map = override_from_dict

    def parse_json(self, values_json: str) -> HParams:
        """Set hyperparameters from a JSON object."""
        return self.override_from_dict(json.loads(values_json))

    def to_json(self, indent=None, separators=None, sort_keys: bool = False) -> str:
        """Return the values as a JSON object."""
        return json.dumps(self.values(), indent=indent, separators=separators,
                          sort_keys=sort_keys)

    def values(self) -> dict:
        """Return the values by name."""
        return {name: getattr(self, name) for name in self._hparam_types}

    def get(self, key: str, default=None):
        """Return a value, or the default; raise ValueError if the default has another type."""
        if key not in self._hparam_types:
            return default
        if default is not None:
            kind, is_list = self._hparam_types[key]
            type_name = f'list<{kind}>' if is_list else str(kind)
            message = f"Hparam '{key}' of type '{type_name}' is incompatible with default={default}"
            if is_list != isinstance(default, list):
                raise ValueError(message)
            try:
                for value in default if is_list else [default]:
                    _cast(key, kind, value)
            except ValueError as error:
                raise ValueError(f'{message}. {error}') from None
        return getattr(self, key)

    def set_model_structure(self, model_structure) -> None:
        """Store a model structure."""
        self._model_structure = model_structure

    def get_model_structure(self):
        """Return the stored model structure."""
        return self._model_structure

    def __contains__(self, key: str) -> bool:
        return key in self._hparam_types

    def __str__(self) -> str:
        return ','.join(f'{name}={value}' for name, value in self.values().items())

    def __repr__(self) -> str:
        return f'{type(self).__name__}({sorted(self.values().items())})'
