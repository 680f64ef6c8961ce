//! Rules of the embedded log alone: the file, fencing, retention. What both logs keep stands in `runtime/tests/topic_log`.
