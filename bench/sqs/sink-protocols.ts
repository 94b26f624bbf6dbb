/** The two protocols of SQS clients, for batches. The entries of a batch are named `0`, `1`, … */

const MESSAGE_ID = '00000000-0000-4000-8000-000000000000'

/** The responses of one protocol. */
export interface Answer {
  readonly contentType: string
  queueUrl(url: string): string
  /** @param checksums of each message; empty: it is left out */
  confirm(checksums: readonly string[]): string
}

export const jsonAnswer: Answer = {
  contentType: 'application/x-amz-json-1.0',
  queueUrl: QueueUrl => JSON.stringify({ QueueUrl }),
  confirm(checksums) {
    const entries = checksums.map((md5, n) => {
      const checksum = md5 === '' ? '' : `,"MD5OfMessageBody":"${md5}"`
      return `{"Id":"${n}","MessageId":"${MESSAGE_ID}"${checksum}}`
    })
    return `{"Successful":[${entries.join()}]}`
  },
}

/** Forms in, XML out. */
export const formAnswer: Answer = {
  contentType: 'text/xml',
  queueUrl: url =>
    `<GetQueueUrlResponse><GetQueueUrlResult><QueueUrl>${url}</QueueUrl></GetQueueUrlResult></GetQueueUrlResponse>`,
  confirm(checksums) {
    const entries = checksums.map(
      (md5, n) =>
        `<SendMessageBatchResultEntry><Id>${n}</Id><MessageId>${MESSAGE_ID}</MessageId>` +
        `<MD5OfMessageBody>${md5}</MD5OfMessageBody></SendMessageBatchResultEntry>`,
    )
    return `<SendMessageBatchResponse><SendMessageBatchResult>${entries.join('')}</SendMessageBatchResult></SendMessageBatchResponse>`
  },
}

/** The bodies of the messages of a batch, in its order. */
export function sentBodies(text: Buffer, isJson: boolean): string[] {
  if (isJson) {
    const { Entries }: { Entries: { MessageBody: string }[] } = JSON.parse(text.toString())
    return Entries.map(({ MessageBody }) => MessageBody)
  }
  const form = new URLSearchParams(text.toString())
  return [...form].filter(([name]) => name.endsWith('.MessageBody')).map(([, body]) => body)
}
