"""Corrections of bins as the package cooler finds weights: validate, plan, run, record."""

from __future__ import annotations

from hifive_dask._store.places import Location
from hifive_dask.learning import Learning
from hifive_dask.model.convergence import OnNonconvergence
from hifive_dask.model.filtering import UseReads
from hifive_dask.model.ice import Mask, balance_sums

__all__ = ["Correcting"]


class Correcting(Learning):
    """Method of `hifive_dask.HiC` that learns corrections of bins; it changes it or raises."""

    def find_ice_fend_corrections(
        self,
        ignore_diags: int = 2,
        min_nnz: int = 10,
        min_count: float = 0,
        mad_max: float = 5,
        usereads: UseReads = "all",
        tol: float = 1e-5,
        max_iterations: int = 200,
        *,
        calibrate: bool = False,
        on_nonconvergence: OnNonconvergence = "warn",
        checkpoint: Location | None = None,
    ) -> None:
        """Learn corrections of bins by iterative correction (ICE), as ``cooler balance`` does.

        Weights w = 1 / c are divided, all at once, by the sum of their row of n_ij w_i w_j over the
        mean of all sums, until the variance of the sums is below `tol`. With the same options they
        are those of cooler 0.11, iteration by iteration. Bins that are left out leave the filter.

        Parameters
        ----------
        ignore_diags
            Diagonals of the map that are left out, with the main one: pairs of bins whose numbers
            in the genome differ by less. 0: none; a bin with itself then counts once in its sum.
        min_nnz
            Cells with reads that a bin needs, outside of these diagonals.
        min_count
            Reads that it needs there.
        mad_max
            Bins are left out whose ln(reads), relative to the median of their chromosome, is more
            than so many median absolute deviations below the median; 0: none.
        usereads
            ``"all"``: the map of the genome; ``"cis"``: each chromosome by itself; ``"trans"``:
            pairs of chromosomes. Bins are left out by cis reads for ``"cis"``, else by all.
        tol
            Variance of the sums of rows, in reads.
        max_iterations
            It stops here if it has not converged.
        calibrate
            Set the levels afterwards, of each chromosome and of every two, so that maps expect as
            many reads as they show (`chromosome_means` and `calibrated`). It needs
            `find_distance_parameters`.
        on_nonconvergence
            If it has not converged ``"warn"``, raise an ``"error"``, or ``"ignore"``.
        checkpoint
            File that keeps unfinished work: a call that was interrupted goes on from there, with
            the same result. It is removed at the end.

        Raises
        ------
        ParameterError
            For values out of range, and if the genome is in fends, not in bins.
        StateError
            If no bin or no pair is left, or `calibrate` lacks the distance dependence.
        ConvergenceError
            With ``on_nonconvergence="error"``. Whatever is raised, the project stays as it was.

        Notes
        -----
        The distance dependence is not divided out. `normalization` is ``"express"``, as for
        Knight-Ruiz. Corrections are scaled as ever, so that c_i c_j is 1 on average on every
        chromosome; weights are ``1 / (c * s)`` with the `chromosome_scales` s, and so in coolers
        that are written with ``datatype="fend"``. `trace` has a row for every iteration: the 2-norm
        of (sums over their mean - 1), and the variance of the sums, which `tol` is the limit of.

        References
        ----------
        Imakaev et al., Iterative correction of Hi-C data reveals hallmarks of chromosome
        organization. Nature Methods 9, 999 (2012).

        Abdennur and Mirny, Cooler: scalable storage for Hi-C data and other genomically labeled
        arrays. Bioinformatics 36, 311 (2020).

        Examples
        --------
        >>> import hifive_dask as hd
        >>> from hifive_dask.testing import toy_project
        >>> hic = hd.HiC(toy_project(binned=25_000), silent=True)
        >>> hic.find_ice_fend_corrections()
        >>> hic.method, hic.converged
        ('ICE', True)
        """
        self._check_calibrate(calibrate)
        mask = Mask(ignore_diags, min_nnz, min_count, mad_max)
        result = balance_sums(
            self.units,
            self.filter,
            self.data.store,
            mask=mask,
            usereads=usereads,
            tol=tol,
            max_iterations=max_iterations,
            on_nonconvergence=on_nonconvergence,
            checkpoint=checkpoint,
            silent=self.silent,
        )
        levels = self._levels(
            result.corrections,
            valid=result.valid,
            calibrate=calibrate,
            chroms=self.units.select(()),
        )
        self.corrections, self.filter, self.trace = result.corrections, result.valid, result.trace
        self._set_levels(levels, calibrated=calibrate, scales=result.scales)
        self.normalization = "express"
        self.records.add(
            "HiC.find_ice_fend_corrections",
            {
                **mask._asdict(),
                "usereads": usereads,
                "tol": tol,
                "max_iterations": max_iterations,
                "calibrate": calibrate,
            },
            results={
                "iterations": len(result.trace),
                "converged": result.converged,
                "left_out": result.masked,
            },
        )
        self._warn_of_levels()
