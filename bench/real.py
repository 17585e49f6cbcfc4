"""The group "real": programs of Debian's, in a guest whose root disk is Debian's (scripts/guest-debian.sh tools). What
they get to do is made here, always the same, and comes to the guest in an archive on a second disk, which its task
"archive" unpacks; see real/run for how each is run."""

import io
import os
import random
import tarfile

NAMES = ("gcc", "python", "perl", "sqlite", "sh", "find", "sort-lines", "7z", "zstd", "openssl")
FOLDER = f"{os.path.dirname(os.path.abspath(__file__))}/real"


def c_function(number, chance):
    """Arithmetic, loops, a switch, a struct and calls of those before it: much for an optimizer, nothing special."""
    callee = f"work_{chance.randrange(number)}(p, a ^ {chance.randrange(99)})" if number else "a"
    cases = "\n".join(
        f"        case {case}: b = b * {chance.randrange(3, 99, 2)} + p->{field}; p->{field} ^= a >> {chance.randrange(1, 9)}; break;"
        for case, field in enumerate(chance.sample(["first", "second", "third", "table[b & 15]"], 4)))
    return f"""
long work_{number}(struct state *p, long a)
{{
    long b = {chance.randrange(1000)};

    for (int i = 0; i < (int)(a & {chance.choice([7, 15, 31])}); i++) {{
        switch ((a + i * b) & 3) {{
{cases}
        }}
        p->table[i & 15] += b % {chance.randrange(3, 50)};
        p->weight = p->weight * {chance.randrange(1, 9)}.25 + (double)b / (i + 1);
    }}
    if (p->first > p->second)
        return b - p->third * {chance.randrange(3, 1000)};
    return b + {callee};
}}
"""


def c_program(functions):
    chance = random.Random(1)
    head = "struct state { long first, second, third, table[16]; double weight; };\n"
    return head + "".join(c_function(number, chance) for number in range(functions))


def sql(rows):
    chance = random.Random(2)
    cities = [f"city{i:03}" for i in range(200)]
    lines = ["create table person(id integer primary key, name text, city text, age int);",
             "create table payment(person int, amount int, day int);", "begin;"]
    for i in range(rows):
        lines.append(f"insert into person values({i}, 'n{chance.randrange(10**6)}', '{chance.choice(cities)}', {chance.randrange(99)});")
        lines += [f"insert into payment values({chance.randrange(rows)}, {chance.randrange(10**4)}, {chance.randrange(365)});"] * 2
    lines += ["commit;", "create index by_city on person(city, age);", "create index by_person on payment(person);",
              "select city, count(*), sum(amount) from person join payment on person = id group by city order by 3 desc limit 20;",
              "select age, max(name), avg(amount) from person join payment on person = id where city < 'city100' group by age;",
              "update person set age = age + 1 where id in (select person from payment where day < 100);",
              "select name, total(amount) over (partition by city order by id) from person join payment on person = id "
              "where name like '%77%' order by 1, 2 limit 50;",
              "with recursive n(i) as (select 1 union all select i + 1 from n where i < %d) select sum(i * i %% 7) from n;" % (rows * 5),
              "pragma integrity_check;"]
    return "\n".join(lines) + "\n"


def words(count):
    chance = random.Random(3)
    return "".join(f"{chance.randrange(36**6):x}{chance.choice('abcdef')} {chance.randrange(10**5)}\n" for _ in range(count))


def data(size):
    """Compresses like text: words of a vocabulary, some numbers."""
    chance = random.Random(4)
    vocabulary = ["".join(chance.choices("etaoinshrdlucmfw", k=chance.randrange(2, 10))) for _ in range(3000)]
    pieces, length = [], 0
    while length < size:
        piece = f"{chance.choice(vocabulary[: chance.choice([30, 300, 3000])])}{chance.choice([' ', ' ', ' ', ', ', '.' + chr(10)])}"
        if chance.random() < 0.05:
            piece += f"{chance.randrange(10**6)} "
        pieces.append(piece)
        length += len(piece)
    return "".join(pieces)[:size]


def make_archive(path, names, scale):
    """The tar archive, padded to whole sectors: a disk image."""
    with tarfile.open(path, "w") as archive:
        for name in ("run", "work.py", "work.pl", "work.sh"):
            archive.add(f"{FOLDER}/{name}", name)
        texts = {
            "rows": "".join(f"{name}\n" for name in names),
            "scale": f"{scale}\n",
            "program.c": c_program(max(2, int(24 * scale))),
            "work.sql": sql(max(10, int(4000 * scale))),
            "words": words(max(10, int(30000 * scale))),
            "data": data(max(1000, int(1000000 * scale))),
        }
        for name, text in texts.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
