from package import first
print(first.result)
