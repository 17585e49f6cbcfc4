/* Plain integer code: what a compiler makes of ordinary C, mostly in registers and the first-level
 * cache. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

static uint64_t mixed(uint64_t count, uint64_t seed)
{
    static uint32_t table[1024];
    uint64_t state = seed, sum = 0;
    for (size_t i = 0; i < 1024; i++)
        table[i] = (uint32_t)bench_random(&state);
    bench_begin();
    uint32_t a = (uint32_t)seed, b = 12345;
    for (uint64_t i = 0; i < count; i++) {
        uint32_t t = table[(a >> 3) & 1023];
        if (t & 1)
            a += t ^ (b << 5);
        else if (t & 2)
            a ^= (t >> 7) | (b << 25);
        else
            a -= b + (uint32_t)i;
        b = b * 69069 + 1;
        table[(b >> 9) & 1023] = a + (uint32_t)i;
        if ((int32_t)a < 0)
            sum += a & 0xFFFF;
        else
            sum ^= (uint64_t)a << (b & 15);
    }
    bench_end(count);
    return bench_mix(sum, (uint64_t)a << 32 | b);
}

struct node {
    struct node *next;
    int32_t key, value;
};

static struct node *list_merge(struct node *a, struct node *b)
{
    struct node head, *tail = &head;
    while (a && b) {
        struct node **from = a->key <= b->key ? &a : &b;
        tail->next = *from;
        tail = *from;
        *from = (*from)->next;
    }
    tail->next = a ? a : b;
    return head.next;
}

static struct node *list_sort(struct node *list, size_t length)
{
    if (length <= 1) {
        if (list)
            list->next = NULL;
        return list;
    }
    struct node *half = list;
    for (size_t i = 0; i < length / 2; i++)
        half = half->next;
    /* The first half is cut off by its own recursion: its last node gets a null next. */
    struct node *b = list_sort(half, length - length / 2);
    return list_merge(list_sort(list, length / 2), b);
}

static uint64_t lists(uint64_t count, uint64_t seed)
{
    enum { NODES = 1024 };
    static struct node nodes[NODES];
    uint64_t state = seed, sum = 0;
    bench_begin();
    for (uint64_t round = 0; round < count; round++) {
        struct node *list = NULL;
        for (size_t i = 0; i < NODES; i++) {
            uint64_t r = bench_random(&state);
            nodes[i] = (struct node){list, (int32_t)(r >> 40), (int32_t)r};
            list = &nodes[i];
        }
        list = list_sort(list, NODES);
        struct node *reversed = NULL;
        while (list) {
            struct node *next = list->next;
            list->next = reversed;
            reversed = list;
            list = next;
        }
        for (int find = 0; find < 8; find++) {
            int32_t key = (int32_t)(bench_random(&state) >> 40);
            struct node *node = reversed;
            while (node && node->key > key)
                node = node->next;
            sum = bench_mix(sum, node ? (uint32_t)node->value : 0);
        }
    }
    bench_end(count);
    return sum;
}

/* Recognises numbers, names and operators in a text, a byte at a time. */
enum lex_state {
    LEX_START,
    LEX_INT,
    LEX_HEX,
    LEX_FRACTION,
    LEX_EXPONENT,
    LEX_NAME,
    LEX_OPERATOR,
    LEX_BAD,
    LEX_STATES
};

static enum lex_state lex_step(enum lex_state state, unsigned char c)
{
    bool digit = c >= '0' && c <= '9';
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    if (c == ' ' || c == '\n')
        return LEX_START;
    switch (state) {
    case LEX_START: return digit ? LEX_INT : letter ? LEX_NAME : LEX_OPERATOR;
    case LEX_INT:
        if (digit)
            return LEX_INT;
        if (c == 'x')
            return LEX_HEX;
        if (c == '.')
            return LEX_FRACTION;
        return c == 'e' ? LEX_EXPONENT : letter ? LEX_BAD : LEX_OPERATOR;
    case LEX_HEX:
        return digit || (c >= 'a' && c <= 'f') ? LEX_HEX : letter ? LEX_BAD : LEX_OPERATOR;
    case LEX_FRACTION:
        return digit ? LEX_FRACTION : c == 'e' ? LEX_EXPONENT : letter ? LEX_BAD : LEX_OPERATOR;
    case LEX_EXPONENT: return digit || c == '-' ? LEX_EXPONENT : letter ? LEX_BAD : LEX_OPERATOR;
    case LEX_NAME: return digit || letter ? LEX_NAME : LEX_OPERATOR;
    case LEX_OPERATOR: return digit ? LEX_INT : letter ? LEX_NAME : LEX_OPERATOR;
    default: return LEX_BAD;
    }
}

static uint64_t state_machine(uint64_t count, uint64_t seed)
{
    enum { TEXT = 4096 };
    static const char alphabet[] = "0123456789012345abcdefxexy._+-*/   \n";
    static unsigned char text[TEXT];
    uint64_t state = seed, sum = 0;
    uint32_t seen[LEX_STATES] = {0}, left[LEX_STATES] = {0};
    for (size_t i = 0; i < TEXT; i++)
        text[i] = (unsigned char)alphabet[bench_random(&state) % (sizeof(alphabet) - 1)];
    bench_begin();
    for (uint64_t done = 0; done < count; done += TEXT) {
        enum lex_state lex = LEX_START;
        for (size_t i = 0; i < TEXT; i++) {
            enum lex_state next = lex_step(lex, text[i]);
            seen[next]++;
            left[lex] += next != lex;
            lex = next;
        }
        text[done / TEXT % TEXT] = '7';
    }
    bench_end(count);
    for (size_t i = 0; i < LEX_STATES; i++)
        sum = bench_mix(sum, (uint64_t)seen[i] << 32 | left[i]);
    return sum;
}

static uint64_t crc(uint64_t count, uint64_t seed)
{
    enum { SIZE = 4096 };
    static unsigned char data[SIZE];
    static uint32_t table[256];
    uint64_t state = seed;
    for (size_t i = 0; i < SIZE; i++)
        data[i] = (unsigned char)bench_random(&state);
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int bit = 0; bit < 8; bit++)
            c = c & 1 ? c >> 1 ^ 0xEDB88320u : c >> 1;
        table[i] = c;
    }
    bench_begin();
    uint32_t fast = ~0u, slow = 0xFFFF;
    for (uint64_t done = 0; done < count; done += SIZE) {
        for (size_t i = 0; i < SIZE; i++)
            fast = table[(fast ^ data[i]) & 255] ^ fast >> 8;
        /* CRC-16/CCITT bit by bit, of an eighth of the data. */
        for (size_t i = 0; i < SIZE / 8; i++) {
            slow ^= (uint32_t)data[i] << 8;
            for (int bit = 0; bit < 8; bit++)
                slow = slow & 0x8000 ? (slow << 1 ^ 0x1021) & 0xFFFF : slow << 1;
        }
    }
    bench_end(count);
    return (uint64_t)slow << 32 | fast;
}

static void quicksort(int32_t *values, size_t length)
{
    while (length > 12) {
        int32_t a = values[0], b = values[length / 2], c = values[length - 1];
        int32_t pivot = a < b ? (b < c ? b : a < c ? c : a) : (a < c ? a : b < c ? c : b);
        size_t i = 0, j = length - 1;
        for (;;) {
            while (values[i] < pivot)
                i++;
            while (values[j] > pivot)
                j--;
            if (i >= j)
                break;
            int32_t t = values[i];
            values[i++] = values[j];
            values[j--] = t;
        }
        size_t low = j + 1;
        quicksort(values, low);
        values += low;
        length -= low;
    }
    for (size_t i = 1; i < length; i++) {
        int32_t value = values[i];
        size_t j = i;
        for (; j > 0 && values[j - 1] > value; j--)
            values[j] = values[j - 1];
        values[j] = value;
    }
}

static int compare(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

static uint64_t sorting(uint64_t count, uint64_t seed)
{
    enum { LENGTH = 4096 };
    static int32_t values[LENGTH];
    uint64_t state = seed, sum = 0;
    bench_begin();
    for (uint64_t done = 0; done < count; done += 2 * LENGTH) {
        for (size_t i = 0; i < LENGTH; i++)
            values[i] = (int32_t)bench_random(&state);
        quicksort(values, LENGTH);
        sum = bench_mix(sum, (uint32_t)values[state % LENGTH]);
        for (size_t i = 0; i < LENGTH; i++)
            values[i] = (int32_t)bench_random(&state);
        qsort(values, LENGTH, sizeof(values[0]), compare);
        sum = bench_mix(sum, (uint32_t)values[state % LENGTH]);
    }
    bench_end(count);
    return sum;
}

static const uint32_t sha256_k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t rotate(uint32_t x, int by)
{
    return x >> by | x << (32 - by);
}

static void sha256_block(uint32_t hash[8], const unsigned char block[64])
{
    uint32_t w[64], v[8];
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
               (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
    for (int i = 16; i < 64; i++)
        w[i] = w[i - 16] + w[i - 7] +
               (rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3) +
               (rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10);
    memcpy(v, hash, sizeof(v));
    for (int i = 0; i < 64; i++) {
        uint32_t t1 = v[7] + (rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25)) +
                      ((v[4] & v[5]) ^ (~v[4] & v[6])) + sha256_k[i] + w[i];
        uint32_t t2 = (rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22)) +
                      ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
        memmove(v + 1, v, 7 * sizeof(v[0]));
        v[4] += t1;
        v[0] = t1 + t2;
    }
    for (int i = 0; i < 8; i++)
        hash[i] += v[i];
}

static uint64_t sha256(uint64_t count, uint64_t seed)
{
    enum { SIZE = 4096 };
    static unsigned char data[SIZE];
    uint64_t state = seed;
    uint32_t hash[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                        0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    for (size_t i = 0; i < SIZE; i++)
        data[i] = (unsigned char)bench_random(&state);
    bench_begin();
    for (uint64_t done = 0; done < count; done += 64)
        sha256_block(hash, data + done % SIZE);
    bench_end(count);
    return (uint64_t)hash[0] << 32 | hash[7];
}

static uint64_t muldiv(uint64_t count, uint64_t seed)
{
    uint64_t state = seed, a = bench_random(&state) | 1, sum = 0;
    bench_begin();
    for (uint64_t i = 1; i <= count; i++) {
        uint64_t high = (uint64_t)((unsigned __int128)a * (a ^ i) >> 64);
        a = a * UINT64_C(6364136223846793005) + 1442695040888963407;
        uint64_t divisor = (a >> (i & 47)) | 1;
        sum += high / divisor;
        sum ^= (uint64_t)((int64_t)a % (int64_t)(divisor >> 1 | 1));
        sum += (uint32_t)a / (uint32_t)(divisor | 1) + (uint32_t)sum % (uint32_t)(i | 1);
    }
    bench_end(count);
    return bench_mix(sum, a);
}

const struct bench_group bench_integer = {
    "integer", 1,
    (const struct bench[]){{"mixed", BENCH_WORK, 2400000, mixed},
                           {"lists", BENCH_WORK, 150, lists},
                           {"state-machine", BENCH_WORK, 2400000, state_machine},
                           {"crc", BENCH_WORK, 3000000, crc},
                           {"sort", BENCH_WORK, 280000, sorting},
                           {"sha256", BENCH_WORK, 500000, sha256},
                           {"muldiv", BENCH_WORK, 2000000, muldiv},
                           {0}}};
