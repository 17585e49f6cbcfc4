#include "type2/engines.h"

#include "engine/interp/interp.h"
#include "engine/jit/jit.h"

#include <string.h>

static const struct engine_ops *const engines[] = {&interp_engine,
                                                   &jit_engine}; /* the default first */
const char engine_names[] = "interp, jit";

const struct engine_ops *engine_find(const char *name)
{
    jit_set_reference(&interp_engine);
    for (size_t i = 0; i < sizeof(engines) / sizeof(engines[0]); i++)
        if (name == NULL || strcmp(engines[i]->name, name) == 0)
            return engines[i];
    return NULL;
}
