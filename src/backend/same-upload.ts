/** Checks that an upload that is continued is the one that was begun. */
import { counted } from '../text/counted.js'
import type { UploadHead } from './uploads.js'

/**
 * @param name as the caller gave it
 * @param place what to remove to begin again, as messages show it
 * @throws Error where the upload of this name is of another sequence or total
 */
export function requireSameUpload(name: string, place: string, begun: UploadHead, head: UploadHead): void {
  if (begun.sequence === head.sequence && begun.total === head.total) return
  const shown = ({ sequence, total }: UploadHead) =>
    `${sequence}, ${total === undefined ? 'an unknown number of tasks' : counted(total, 'task')}`
  throw new Error(
    `Expected upload \`${name}\` to go on with the sequence that it began with (${shown(begun)}), got another ` +
      `(${shown(head)}). Choose another name, or remove ${place} to begin again.`,
  )
}
