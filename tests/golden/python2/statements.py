# Every expression here means something else in Python 3.
import cPickle, csv, os, pickle, random, string, StringIO, struct, sys, tempfile, types
import numpy as np
folder = tempfile.mkdtemp()
path = os.path.join(folder, 'file')
random.seed(7)
numbers = range(9)
random.shuffle(numbers)
print(numbers)
print([random.randint(0, 99) for i in xrange(5)], random.choice('abcdef'), random.sample(xrange(1000), 3))
print(random.sample(range(6), 6), random.randrange(3, 99, 7), random.random(), random.uniform(1, 2))
random.seed('text')
print(random.random())
random.seed(3)
print(random.gauss(0, 1), random.choice(numbers))
print([round(x) for x in (0.5, 1.5, 2.5, -0.5, 2.675)], round(2.675, 2), round(1234.5, -2), round(0.285, 2))
print(sorted([3, 1, 2], lambda a, b: cmp(b, a)), sorted('bca', reverse=True))
items = [(1, 'b'), (0, 'a')]
items.sort(lambda a, b: cmp(a[1], b[1]))
print(items)
print(string.letters[:3], string.join(['a', 'b'], '-'), string.lower('ABC'), string.atoi('12'), string.uppercase[-1])
with open(path, 'w') as f:
    pickle.dump({'data': np.arange(3, dtype=np.uint8), 'name': 'x'}, f)
print(sorted(cPickle.load(open(path)).items()))
print(sorted(pickle.loads(open(path).read()).keys()))
open(path, 'w').write(struct.pack('<4sI', b'\xff\xd8\xff\xe0', 3000000000))
print(struct.unpack('<4sI', open(path).read())[1], len(open(path, 'rb').read()), len(open(path).read()))
with open(path, 'wb') as f:
    writer = csv.writer(f)
    writer.writerow(['name', 'value'])
    writer.writerow(['a,b', 3 / 2])
for row in csv.reader(open(path, 'rb')):
    print(row)
for row in csv.DictReader(open(path)):
    print(row['name'], row['value'])
buffer_ = StringIO.StringIO()
buffer_.write('text')
print(buffer_.getvalue(), isinstance('x', types.StringType), 7 / 2, 7 / 2., -7 / 2, 7 // 2)
d = {'a': 1}
print(d.keys()[0], d.values()[0], d.items() + [('b', 2)], map(str, [1, 2])[1], zip('ab', 'cd')[0], filter(None, [0, 1])[0])
print(np.array(d.values()), len(map(None, [1])))
a = np.arange(10)
print(a[len(a) / 3:], a[:7 / 2].tolist(), np.zeros(5 / 2).shape)
for line in open(path):
    print line.strip(),
print
print >>sys.stdout, 'done', 0.1 + 0.2
if True:
    print ("%d" % 3), 4
    print ("a", "b")
