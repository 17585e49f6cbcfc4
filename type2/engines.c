#include "type2/engines.h"

#include "engine/interp/interp.h"
#include "engine/jit/jit.h"

#include <string.h>

static const struct engine_ops *const engines[] = {&jit_engine, &interp_engine};
const char engine_names[] = "jit, interp";

const struct engine_ops *engine_find(const char *name)
{
    jit_set_reference(&interp_engine);
    if (name == NULL)
        return jit_is_here() ? &jit_engine : &interp_engine;
    for (size_t i = 0; i < sizeof(engines) / sizeof(engines[0]); i++)
        if (strcmp(engines[i]->name, name) == 0)
            return engines[i];
    return NULL;
}

const struct engine_ops *engine_instead(const struct engine_ops *engine)
{
    const struct jit_options *options = jit_options();
    if (engine != &jit_engine || options->dump != NULL || options->perf_map || options->audit)
        return NULL;
    return &interp_engine;
}
