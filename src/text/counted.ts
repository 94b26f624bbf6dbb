/** A number with what it counts, e.g. `1 task`, `2 tasks`. @param plural default: the singular with an `s` */
export function counted(count: number, singular: string, plural = `${singular}s`): string {
  return `${count} ${count === 1 ? singular : plural}`
}
