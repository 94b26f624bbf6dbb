/** Diagnostic lines on stderr, with `NODE_DEBUG=ptq`. */
import { debuglog } from 'node:util'

/** Writes a line where `NODE_DEBUG` names `ptq`, otherwise nothing; takes the arguments of `util.format`. */
export const debugLog = debuglog('ptq')
