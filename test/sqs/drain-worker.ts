// A worker process for the drain test: leases, says which messages it ran, deletes them; ends when nothing comes.
// Arguments: the endpoint, the queue's name.
import { opener } from '#ptq/backends/sqs/index.js'
import { ACCESS } from './queue.js'

const [endpoint = '', path = ''] = process.argv.slice(2)
const backend = await opener.open({ protocol: 'sqs', path }, { ...ACCESS, endpoint })
for (;;) {
  const leases = await backend.lease({ seconds: 1, max: 10, waitSeconds: 2 })
  if (leases.length === 0) break
  process.stdout.write(leases.map(lease => `${lease.body}\n`).join(''))
  const failures = await backend.delete(leases, { tally: false })
  for (const { error } of failures) if (error.name !== 'LeaseLostError') throw error
}
await backend.close()
