// A thread that waits for the first file in a folder, and says when it came. It says so too when it begins to wait.
import { watch } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'

const watcher = watch(workerData, () => {
  parentPort?.postMessage(performance.timeOrigin + performance.now())
  watcher.close()
})
parentPort?.postMessage('waiting')
