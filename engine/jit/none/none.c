/* For hosts that the translator makes no code for. */
#include "engine/jit/backend.h"

const struct jit_backend *const jit_host_backend = NULL;
