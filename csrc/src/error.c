#include "error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static nbh_status fill(nbh_error *error, nbh_status status, const char *field, int64_t line,
                       const char *format, va_list arguments)
{
    if (error == NULL)
        return status;
    memset(error, 0, sizeof *error);
    error->status = (int32_t)status;
    error->line = line;
    snprintf(error->field, sizeof error->field, "%s", field);
    vsnprintf(error->message, sizeof error->message, format, arguments);
    return status;
}

nbh_status nbh_fail(nbh_error *error, nbh_status status, const char *field, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fill(error, status, field, 0, format, arguments);
    va_end(arguments);
    return status;
}

nbh_status nbh_fail_line(nbh_error *error, nbh_status status, int64_t line, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fill(error, status, "", line, format, arguments);
    va_end(arguments);
    return status;
}
