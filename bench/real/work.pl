# Hashes, regular expressions, sorting and text.
use strict;
use warnings;
use integer;

my $scale = shift;
my $seed = 1;

sub number {
    $seed = ($seed * 1103515245 + 12345) & 0x7fffffff;
    return $seed >> 8;
}

sub rounds {
    no integer;
    my $count = int($_[0] * $scale);
    return $count < 1 ? 1 : $count;
}

my %count;
my @lines;
for (1 .. rounds(16000)) {
    my $key = "key" . number() % 2000;
    $count{$key} += length $key;
    push @lines, "$key: " . join(",", map { number() % 100 } 1 .. 5);
}
my @best = sort { $count{$b} <=> $count{$a} || $a cmp $b } keys %count;
print "$_ $count{$_}\n" for @best[0 .. ($#best < 9 ? $#best : 9)];
my ($sum, $hits) = (0, 0);
for (@lines) {
    next unless /^key(\d+): (\d+),(\d+),.*?(\d)\4/;
    $hits++;
    $sum += $1 + $2 * $3;
    s/(\d+),(\d+)/$2,$1/g;
    tr/0-9/a-j/;
}
print "$hits $sum ", join("", sort map { substr $_, -1 } @lines) =~ tr/a-e//, "\n";
sub fibonacci { my $n = shift; return $n < 2 ? $n : fibonacci($n - 1) + fibonacci($n - 2) }
print fibonacci(18), "\n" for 1 .. rounds(3);
my @stack;
for my $word (map { split /[:,]/ } @lines) {
    @stack > 50 ? splice(@stack, 10, 30) : push @stack, lc $word;
}
print scalar @stack, " ", join("|", @stack[0 .. 3]), "\n";
