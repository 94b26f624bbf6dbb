/** Entry point that `ptq poll --processes` forks: `ptq` with the same arguments, as a worker of that parent. */
import { followParent } from './parent-process.js'

followParent()
await import('./main.js')
