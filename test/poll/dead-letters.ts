// The dead letters of a queue.
import type { ListedTask, TaskQueue } from 'ptq'

export async function deadLettersOf(tq: TaskQueue): Promise<ListedTask[]> {
  const letters: ListedTask[] = []
  for await (const letter of tq.failures()) letters.push(letter)
  return letters
}
