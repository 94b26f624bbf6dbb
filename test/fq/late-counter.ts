// A process that adds 3 to the count of inserted tasks, and stops itself just before its new count is renamed into place.
import { open } from '#ptq/backends/fq/index.js'
import { interfered } from './test-files.js'

const [root = ''] = process.argv.slice(2)
let stopped = false
const fileSystem = interfered({
  either(call, _path, to) {
    if (stopped || call !== 'rename' || !to.endsWith('/insertions')) return
    stopped = true
    process.kill(process.pid, 'SIGSTOP')
  },
})
const queue = await open({ protocol: 'fq', path: root }, { fileSystem })
await queue.addInserted?.(3)
await queue.close()
