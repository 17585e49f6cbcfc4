#include "type2/entropy.h"

#include "core/error.h"

#include <errno.h>
#include <sys/random.h>

static int entropy_fill(struct entropy_backend *backend, void *bytes, size_t len)
{
    uint8_t *to = bytes;

    (void)backend;
    while (len > 0) {
        /* Up to 256 bytes are never cut short by a signal; GRND_NONBLOCK fails only early in a
         * host's boot. */
        size_t part = len < 256 ? len : 256;
        ssize_t got = getrandom(to, part, GRND_NONBLOCK);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 && errno == EAGAIN ? -E_AGAIN : -E_IO;
        to += got;
        len -= (size_t)got;
    }
    return 0;
}

struct entropy_backend *entropy_host(void)
{
    static struct entropy_backend backend = {.fill = entropy_fill};

    return &backend;
}
