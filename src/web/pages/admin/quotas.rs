//! The fields by which quotas are set, of one account or of all.

use crate::auth::quota;
use crate::auth::quota::QuotaFieldError;
use crate::auth::quota::QuotaForm;
use crate::experiment::fields::FieldError;
use crate::model::quota::OwnQuotas;
use crate::model::quota::Quotas;

/// One of them.
pub struct QuotaField {
    pub name: &'static str,
    pub label: String,
    pub value: String,
    /// What holds where nothing is typed.
    pub otherwise: String,
    pub error: Option<String>,
}

/// All of them. `otherwise` holds where nothing is said.
pub fn fields(form: &QuotaForm, otherwise: &Quotas, errors: &[FieldError]) -> Vec<QuotaField> {
    let otherwise = quota::ALL.iter().fold(OwnQuotas::default(), |said, quota| {
        said.saying(*quota, Some(otherwise.get(*quota)))
    });
    let otherwise = QuotaForm::of(&otherwise);
    let field = |quota| {
        let field = quota::field(quota);
        let error = errors.iter().find(|error| error.field == field.name);
        QuotaField {
            name: field.name,
            label: match field.unit {
                "" => field.label.to_owned(),
                unit => format!("{}, in {unit}", field.label),
            },
            value: form.text(quota).to_owned(),
            otherwise: otherwise.text(quota).to_owned(),
            error: error.map(|error| error.message.clone()),
        }
    };
    quota::ALL.map(field).into()
}

/// As pages name what is wrong.
pub fn errors(errors: Vec<QuotaFieldError>) -> Vec<FieldError> {
    let errors = errors.into_iter();
    errors
        .map(|error| FieldError::new(error.field, error.message))
        .collect()
}
