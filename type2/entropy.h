/* The host's random number generator as an entropy backend. */
#ifndef TYPE2_ENTROPY_H
#define TYPE2_ENTROPY_H

#include "devices/backend.h"

/* getrandom() without waiting; one for all VMs, never freed. */
struct entropy_backend *entropy_host(void);

#endif
