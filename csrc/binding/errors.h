// errors.h - status codes of libnbh become the Python exception _core.Error.
#pragma once

#include <cstdint>
#include <string>

#include "nbh/nbh.h"

// Throws _core.Error(status, field, message, line); the GIL must be held.
[[noreturn]] void raise_error(nbh_status status, const std::string &field,
                              const std::string &message, std::int64_t line = 0);

// Throws unless status is NBH_OK.
inline void check(nbh_status status, const nbh_error &error)
{
    if (status != NBH_OK)
        raise_error(status, error.field, error.message, error.line);
}
