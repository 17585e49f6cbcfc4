/*
 * Error numbers of the freestanding code.
 *
 * Functions return 0 or a negative one of these (pointers: NULL). The values are Linux's errno
 * values, so that the type 2 program may hand them to strerror(); freestanding code has no
 * <errno.h> of its own.
 */
#ifndef CORE_ERROR_H
#define CORE_ERROR_H

enum error {
    E_NOENT = 2,   /* no such thing */
    E_IO = 5,      /* a backend failed */
    E_NOEXEC = 8,  /* not an image we can start */
    E_AGAIN = 11,  /* would have to wait */
    E_NOMEM = 12,  /* no memory */
    E_FAULT = 14,  /* address outside RAM and devices */
    E_BUSY = 16,   /* in use */
    E_EXIST = 17,  /* is there already */
    E_NODEV = 19,  /* no such device */
    E_INVAL = 22,  /* bad argument or malformed input */
    E_NOSPC = 28,  /* does not fit */
    E_ROFS = 30,   /* read-only */
    E_RANGE = 34,  /* out of range */
    E_PROTO = 71,  /* version or form not understood */
    E_NOTSUP = 95, /* not supported here */
};

#endif
