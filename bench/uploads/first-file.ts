// A thread that waits for the first file in a folder, and reports when it came, and when it begins to wait.
import { watch } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'

const watcher = watch(workerData, () => {
  parentPort?.postMessage(performance.timeOrigin + performance.now())
  watcher.close()
})
parentPort?.postMessage('waiting')
