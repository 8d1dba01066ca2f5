"""What texts are about that have none of the topics: the other subjects of news.

Before any label is seen, a text has a topic if it is closer to the topic's description than to
these subjects together. How close that has to be is for `head`.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from paratopic.inference.modes import Array, Targets

SUBJECTS: Final = (
    "Sport: matches, teams, players, coaches, tournaments, results and records.",
    "Health and medicine: patients, hospitals, doctors, diseases, drugs and vaccines.",
    "Crime and justice: police, arrests, murders, thefts, trials and sentences.",
    "Weather: rain, snow, heat, storms and forecasts.",
    "Disasters and accidents: earthquakes, floods, fires, crashes, rescue and victims.",
    "Education: schools, universities, teachers, pupils and exams.",
    "Arts and entertainment: films, music, books, television, theatre and celebrities.",
    "Religion and belief: churches, mosques, priests, worship and festivals.",
    "Business and markets: companies, profits, shares, prices, banks and mergers.",
    "Work and jobs: wages, unions, strikes, employers and unemployment.",
    "Elections and party politics: candidates, votes, parties, parliament and government.",
    "Taxes and public spending: budgets, debt, deficits and benefits.",
    "Environment and climate: pollution, wildlife, forests, emissions and conservation.",
    "Science and space: research, discoveries, experiments, planets and rockets.",
    "Farming and food: crops, livestock, farmers, harvests and nutrition.",
    "Energy: oil, gas, electricity, nuclear plants and renewable power.",
    "Transport: roads, railways, airlines, ships and traffic.",
    "Housing and cities: homes, rents, building, land and local councils.",
    "Migration: immigrants, refugees, visas, asylum and citizenship.",
    "Family and society: children, women, ageing, poverty, welfare and equality.",
    "Law and administration: courts, rules, agencies, procedures and reports.",
    "History and commemoration: anniversaries, monuments, ceremonies and heritage.",
    "Travel and lifestyle: holidays, restaurants, fashion, cooking and hobbies.",
    "People: birth, marriage, death, awards and personal stories.",
)


def are_others(subjects: Array, descriptions: Array) -> Targets:
    """Which subjects are not those of a codebook: each that is closer to another than to a topic.

    Parameters
    ----------
    subjects, descriptions
        (m, d) features of the subjects and (k, d) of the topics' descriptions, of equal length.

    Returns
    -------
    (m,) truth values. Of a codebook with the topic "Sport: teams and matches", the subject of sport
    is left out, or no text would have this topic.
    """
    among = subjects @ subjects.T
    np.fill_diagonal(among, -np.inf)
    own, others = (each.max(axis=1, initial=-np.inf) for each in (subjects @ descriptions.T, among))
    return np.asarray(others > own)
