VALUE = map(int, '7')[0] / 2
