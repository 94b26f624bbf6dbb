// A backend that only `--load` makes known: file queues, by their name in the folder of the test.
import { join } from 'node:path'
import { registerBackend } from 'ptq'
import { opener } from '#ptq/backends/fq/index.js'

registerBackend('folder', {
  open: ({ path }, options) =>
    opener.open({ protocol: 'fq', path: join(process.env.PTQ_TEST_FOLDER ?? '', path) }, options),
})
