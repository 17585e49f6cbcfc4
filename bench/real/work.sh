# What configure scripts and the like do: loops, expansions, pipes, small processes.
count=$(awk "BEGIN { print int(40 * $1 + 1) }")
i=0 sum=0
while [ $i -lt $((count * 300)) ]; do
    sum=$(((sum * 31 + i) % 1000003))
    case $sum in
    *7) sum=$((sum + 1)) ;;
    [12]*) sum=$((sum ^ 5)) ;;
    esac
    i=$((i + 1))
done
echo "loop $sum"
i=0
while [ $i -lt "$count" ]; do
    name=$(echo "file-$i.tar.gz" | sed 's/\.tar\.gz$//' | tr a-z A-Z)
    base=${name#*-}
    [ "$(expr "$base" + 1)" = $((i + 1)) ] || echo "wrong $i"
    echo "$name" | cut -c 1-6
    (exit $((i % 3))) || echo "status $?"
    i=$((i + 1))
done
