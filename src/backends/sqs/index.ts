/** Queues on Amazon SQS: `sqs://name`, `https://sqs.REGION.amazonaws.com/ACCOUNT/NAME`, or a compatible server. */
import type { BackendOpener } from '../../backend/backend.js'
import { SqsBackend } from './backend.js'
import { openQueue } from './open-queue.js'
import { checkOptions } from './options.js'
import { parseQueuePlace } from './queue-place.js'

export type { SqsClient, SqsOptions } from './options.js'

/** Opens `sqs://` queues; options as in {@link SqsOptions}. */
export const opener: BackendOpener = {
  async open(url, options) {
    const place = parseQueuePlace(url.path)
    return new SqsBackend(await openQueue(place, checkOptions(options)), url.path)
  },
}
