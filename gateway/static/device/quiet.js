/** Quiet hours, as the server has them: models/notices/quiet.py. */

const DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/** Whether a moment is in the quiet hours {days, from, to} of a time zone. A night belongs to the day on which it begins. */
export function isQuiet(quiet, timeZone, moment) {
  if (!quiet) return false;
  const parts = new Intl.DateTimeFormat("en-GB", { timeZone, weekday: "short", hour: "2-digit", minute: "2-digit" });
  const { weekday, hour, minute } = Object.fromEntries(parts.formatToParts(moment).map(({ type, value }) => [type, value]));
  const today = DAYS.indexOf(weekday.toLowerCase());
  const time = `${hour}:${minute}`;
  const isDay = (day) => quiet.days.includes(DAYS[(day + 7) % 7]);
  if (quiet.from < quiet.to) return isDay(today) && quiet.from <= time && time < quiet.to;
  return (isDay(today) && quiet.from <= time) || (isDay(today - 1) && time < quiet.to);
}
